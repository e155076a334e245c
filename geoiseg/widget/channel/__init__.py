"""Between page and kernel: checked messages one way, traits the other, and the table of actions."""
