"""The worker: when things are done. What is done, the services know."""
