package input

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// largestFile bounds gateway.yaml and every file that it refers to, so that a wrong path (a disk image, /dev/zero) is
// an error instead of a full memory.
const largestFile = 8 << 20

// fileWait bounds how long a named pipe may say nothing.
const fileWait = 10 * time.Second

// File reads a file that an operator named: gateway.yaml, a key, a certificate. One that is larger than any of them is
// an error. A named pipe is read as a shell's <(command) needs it; one that nobody writes into is empty.
func File(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(fileWait)) // a regular file has none, and needs none
	return All(f, path)
}

// All reads to the end of what an operator gave, which is called name in the error if it is larger than any file may be.
func All(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, largestFile+1))
	if err == nil && len(data) > largestFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, largestFile)
	}
	return data, err
}
