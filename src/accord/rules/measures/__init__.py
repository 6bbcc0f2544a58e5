"""Business measures as versioned definitions: name, variant, the formula in words, the function that reckons it."""
