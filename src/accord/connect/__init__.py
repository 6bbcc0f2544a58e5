"""The connector kit: tables that describe a vendor, mapping, authentication, pages, intake, vault, conformance."""
