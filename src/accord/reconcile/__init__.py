"""Do the systems agree? What is unexplained, where two systems differ, and whether a period can be closed."""
