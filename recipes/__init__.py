"""What people do with GEM: interpret, convert, build data, train, evaluate, publish."""
