"""Cases: what a person has to look at, ranked by money and age, gathered by cause, and the verbs that settle them."""
