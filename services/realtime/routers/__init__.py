"""What the gateway answers: sockets, and where the rest of Baton is."""
