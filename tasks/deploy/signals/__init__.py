"""What a deploy tells monitoring about itself: a trace, metrics, an annotation. Off unless something asks for it."""
