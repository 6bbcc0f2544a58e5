"""What is going on, for people: the timeline of an engagement, the list of them, the flow from won to cash, metrics."""
