"""Where input comes from: public datasets as streams, and streams made up to any size."""
