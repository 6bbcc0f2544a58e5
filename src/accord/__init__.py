"""Accord keeps CRM, ERP and billing in accord: from a won opportunity to cash, and back to the people who deliver."""
