"""The only modules of this room that open files or sockets."""
