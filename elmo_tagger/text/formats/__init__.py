"""Files of annotated documents."""
