"""A report in the form each reader wants; pure, without input or output."""
