"""Programs for those who work on Liên Thông; they are not installed with it."""
