package stream

import "time"

// Paced returns what allows so many events a second.
func Paced(most int) func(now time.Time) bool { return (&pace{most: most}).allows }
