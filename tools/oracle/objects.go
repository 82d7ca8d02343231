package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
)

// Structs, pointers, methods and functions have no JSON, so the cases about them have a value of their own. The test
// crates/template/tests/it/structs.rs has the same one as an Object.

// Unit prints itself, as a value and behind a pointer.
type Unit struct{ N int }

func (u Unit) String() string { return fmt.Sprintf("unit %d", u.N) }

// Person is an ordinary struct.
type Person struct {
	Name string
	Age  int
}

// Greet is a method of the value, so a nil pointer cannot have it.
func (p Person) Greet(word string) string { return word + " " + p.Name }

// IsNobody is a method of the pointer, so a nil pointer has it.
func (p *Person) IsNobody() bool { return p == nil }

// Rack is what the cases have as dot.
type Rack struct {
	Name   string
	Size   int
	Load   float64
	On     bool
	Tags   []string
	Slots  []int
	None   []string
	Counts map[string]int
	Words  map[string]string
	Owner  *Person
	Nobody *Person
	Guest  Person
	Unit   Unit
	UnitAt *Unit
	Fault  error
	Twice  func(int) any
	Join   func(...string) string
	Broken func() (string, error)
	hidden string
}

// Path takes nothing.
func (r *Rack) Path() string { return "racks/" + r.Name }

// Param takes a name and may fail.
func (r *Rack) Param(key string) (any, error) {
	switch key {
	case "size":
		return 2.5, nil
	case "list":
		return []any{1.0, "two"}, nil
	case "map":
		return map[string]any{"k": "v"}, nil
	case "nil":
		return nil, nil
	}
	return nil, errors.New("No such parameter " + key)
}

// Sum takes any number of numbers.
func (r *Rack) Sum(numbers ...int) int {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	return sum
}

// Pick takes parameters of several types.
func (r *Rack) Pick(i int, s string, f float64, b bool) string { return fmt.Sprint(i, s, f, b) }

// Show takes anything.
func (r *Rack) Show(value any) string { return fmt.Sprintf("%v", value) }

// Self gives the rack again.
func (r *Rack) Self() *Rack { return r }

// Owned takes a pointer.
func (r *Rack) Owned(by *Person) bool { return by != nil && by == r.Owner }

// Labels takes a slice.
func (r *Rack) Labels(tags []string) string { return strings.Join(tags, "+") }

// Wide takes an int64.
func (r *Rack) Wide(n int64) int64 { return n * 2 }

func rack() *Rack {
	return &Rack{
		Name: "r1", Size: 42, Load: 2.5, On: true, Tags: []string{"a", "b"}, Slots: []int{3, 4, 5},
		Counts: map[string]int{"one": 1, "two": 2}, Words: map[string]string{"k": "v"},
		Owner: &Person{"ann", 30}, Guest: Person{"bob", 40}, Unit: Unit{7}, UnitAt: &Unit{8}, Fault: errors.New("too hot"),
		Twice:  func(n int) any { return 2 * n },
		Join:   func(parts ...string) string { return strings.Join(parts, "-") },
		Broken: func() (string, error) { return "", errors.New("out of order") },
		hidden: "x",
	}
}

// recordObjects answers the cases about structs as record answers those about data.
func recordObjects(cases string, out io.Writer) error {
	return answerCases(cases, out, func(missing, text string) (answer, error) {
		if missing == "" {
			missing = "default"
		}
		return renderRack(text, missing), nil
	})
}

func renderRack(text, missing string) (a answer) {
	var shown strings.Builder
	t, err := template.New("main").Funcs(funcs).Option("missingkey=" + missing).Parse(text)
	if err == nil {
		err = t.Execute(&shown, rack())
	}
	if err != nil {
		message := err.Error()
		a.Error = &message
		return a
	}
	output := shown.String()
	a.Output = &output
	return a
}
