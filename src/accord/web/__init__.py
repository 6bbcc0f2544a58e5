"""Server-rendered pages for people: home, engagements with their timelines, cases, processes. No script is needed to read."""
