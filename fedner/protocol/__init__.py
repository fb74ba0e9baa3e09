"""Messages between server and sites, and their encoding as Flower records."""
