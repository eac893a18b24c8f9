"""A plug-in of two methods, as a third party would write it; the tests put it on the path of another process."""
