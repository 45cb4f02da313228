"""What the tests of filters share: their meaning in plain Python, and filters and messages of every kind."""
