"""What crosses a process boundary: ids, events, room messages, frames and the names of channels."""
