package main

import (
	"os"
	"testing"
)

// TestTheSchemaIsThatOfTheStructs fails after a change of the configuration until `go generate ./config/schema` has run.
func TestTheSchemaIsThatOfTheStructs(t *testing.T) {
	t.Parallel()
	made, err := render("../..")
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile("../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	if string(made) != string(written) {
		t.Errorf("%s is not what the structs say: run `go generate ./config/schema`", file)
	}
}

// TestEveryKeyIsDescribed walks the schema.
func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	whole, err := generate("../..")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path string, s *schema)
	walk = func(path string, s *schema) {
		for key, property := range s.Properties {
			if property.Description == "" {
				t.Errorf("%s.%s has no comment in its struct", path, key)
			}
			walk(path+"."+key, property)
		}
		if entries, ok := s.Additional.(*schema); ok {
			walk(path+".*", entries)
		}
		if s.Items != nil {
			walk(path+"[]", s.Items)
		}
		for _, form := range s.AnyOf {
			walk(path, form)
		}
	}
	walk("", whole)
}
