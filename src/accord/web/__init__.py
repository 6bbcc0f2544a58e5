"""Server-rendered pages for people: home, engagements with timelines, cases, processes. No script is needed."""
