"""What both doors share on HTTP: the shape of a refusal, the size of a body, and a file on its way out."""
