"""The microservices. They never import one another: what they share is `contracts` and `services.kit`."""
