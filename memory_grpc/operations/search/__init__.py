"""Search: ranking, then fetching what was found."""
