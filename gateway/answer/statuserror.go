package answer

// StatusError is an invalid request for which HTTP has a specific status. Its reason is still invalid_request.
type StatusError struct {
	Status int
	Detail string            // for logs
	Fields map[string]string // of the answer
}

func (e *StatusError) Error() string { return e.Detail }

func (e *StatusError) Unwrap() error { return ErrInvalidRequest }
