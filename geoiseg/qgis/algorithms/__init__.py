"""Processing algorithms that hand their work to the companion."""
