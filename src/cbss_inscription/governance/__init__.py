"""Access rules and permissions: values and rules; where they are kept is another station's matter."""
