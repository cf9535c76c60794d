"""What the identifiable flows (`iflow`) and the identifiable VAEs (`ivae`) are both made of."""
