"""Who a number belongs to, and whether given legal data are that person's."""
