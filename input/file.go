package input

import (
	"fmt"
	"io"
	"os"
)

// largestFile bounds gateway.yaml and every file that it refers to, so that a wrong path (a disk image, /dev/zero) is an
// error instead of a full memory.
const largestFile = 8 << 20

// File reads a file that an operator named: gateway.yaml, a key, a certificate. One that is larger than any of them is an
// error.
func File(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err == nil && len(data) > largestFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, largestFile)
	}
	return data, err
}
