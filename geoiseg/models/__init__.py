"""Engines that turn a chip and prompts into masks."""
