"""A tenant's memory taken out, and put back as it was."""
