package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"
)

// Some questions end a Go program (a map that contains itself overflows its stack), and some never end. So questions are answered
// by a process that may be lost, one after the other.

// worker is that process.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startWorker() (*worker, error) {
	cmd := exec.Command(os.Args[0], "answer")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	scanner := bufio.NewScanner(out)
	scanner.Buffer(make([]byte, 1<<20), 512<<20)
	return &worker{cmd, in, scanner}, cmd.Start()
}

// ask waits for the answer to a line, which out then holds; false when the process was lost over it.
func (w *worker) ask(line []byte) bool {
	timer := time.AfterFunc(2*patience, func() { _ = w.cmd.Process.Kill() })
	defer timer.Stop()
	if _, err := w.in.Write(append(slices.Clip(line), '\n')); err != nil {
		return false
	}
	return w.out.Scan()
}

func (w *worker) stop() {
	_ = w.in.Close()
	_ = w.cmd.Wait()
}

// lost is the answer to a question that no answer came to.
const lost = "no answer: the program ended, or ran out of time"

// answerAll answers each line, whatever happens to the process that does so.
func answerAll(in io.Reader, out io.Writer) error {
	w, err := startWorker()
	if err != nil {
		return err
	}
	defer func() { w.stop() }()
	questions := bufio.NewScanner(in)
	questions.Buffer(make([]byte, 1<<20), 256<<20)
	answers := bufio.NewWriter(out)
	defer answers.Flush()
	for questions.Scan() {
		ok := w.ask(questions.Bytes())
		line := w.out.Bytes()
		if !ok {
			w.stop()
			if w, err = startWorker(); err != nil {
				return err
			}
			if line, err = lostAnswer(questions.Bytes()); err != nil {
				return err
			}
		}
		if _, err := answers.Write(append(slices.Clip(line), '\n')); err != nil {
			return err
		}
	}
	return questions.Err()
}

func lostAnswer(line []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return nil, err
	}
	text := lost
	return json.Marshal(answer{Name: q.Name, Error: &text})
}
