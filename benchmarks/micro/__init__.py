"""One file a topic; each benchmark checks its answer and names its unit."""
