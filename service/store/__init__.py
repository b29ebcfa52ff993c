"""What a server keeps under its data folder: uploads, and the archives among them."""
