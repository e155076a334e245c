"""What sensors' bands are called, and how the products of each are laid out in files."""
