package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// caseLine takes a line of crates/template/tests/cases apart: an optional [missingkey], and the
// template, in which ⏎ stands for a line feed. It is false for comments.
func caseLine(line string) (missing, text string, ok bool) {
	if strings.HasPrefix(line, "#") || line == "" {
		return "", "", false
	}
	for _, key := range []string{"zero", "error"} {
		if rest, found := strings.CutPrefix(line, "["+key+"] "); found {
			missing, line = key, rest
		}
	}
	return missing, strings.ReplaceAll(line, "⏎", "\n"), true
}

// record answers the templates of a file of cases, one a line, as questions or as what the tests
// compare with: = and the output, or ! and the error, as JSON strings.
func record(data, cases string, out io.Writer) error {
	raw, err := os.ReadFile(data)
	if err != nil {
		return err
	}
	return answerCases(cases, out, func(missing, text string) (answer, error) {
		q := question{Main: "main", Templates: map[string]string{"main": text}, MissingKey: missing}
		if err := json.Unmarshal(raw, &q.Data); err != nil {
			return answer{}, err
		}
		return answerOf(&q), nil
	})
}

// answerCases writes the answer to each case of a file, given its missingkey, empty for none, and
// its template.
func answerCases(cases string, out io.Writer, ask func(missing, text string) (answer, error)) error {
	in, err := os.Open(cases)
	if err != nil {
		return err
	}
	defer in.Close()
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		missing, text, ok := caseLine(scanner.Text())
		if !ok {
			continue
		}
		a, err := ask(missing, text)
		if err != nil {
			return err
		}
		if err := writeAnswer(out, a); err != nil {
			return err
		}
	}
	return scanner.Err()
}

// writeAnswer writes = and the output, or ! and the error, as a JSON string.
func writeAnswer(out io.Writer, a answer) error {
	mark, shown := "=", a.Output
	if a.Error != nil {
		mark, shown = "!", a.Error
	}
	var line strings.Builder
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(shown); err != nil {
		return err
	}
	_, err := fmt.Fprint(out, mark, line.String())
	return err
}
