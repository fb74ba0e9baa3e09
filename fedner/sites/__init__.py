"""A federation of real institutions: kits, the server and the sites as processes, and how a coordinator drives them."""
