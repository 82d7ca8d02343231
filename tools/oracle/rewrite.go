package main

import (
	"text/template"
	"text/template/parse"
)

// Rewriting the method calls of Digital Rebar's render data to look-ups in plain data, which both engines can be given as JSON.

// methods that take arguments, by how they are rewritten.
var lookups = map[string]string{
	"Param": "index", "ParamExpand": "index", "ComposeParam": "index", "ParamCompose": "index", "ParamComposeExpand": "index",
	"ParamExists": "hasKey", "ParamAsJSON": "json", "ParamAsYAML": "json",
}

// printed are methods that give a string: they print their name and arguments.
var printed = map[string]bool{
	"MacAddr": true, "PathFor": true, "PathForArch": true, "GenerateProfileToken": true, "CallTemplate": true, "KernelFor": true,
	"BootParamsFor": true, "NetmaskToCIDR": true, "JoinInitrds": true, "JoinInitrdsFor": true, "LineFrom": true,
	"ParseUrl": true, "ParseURL": true, "UrlFor": true, "StringExpand": true, "ObjectExpand": true,
}

// fields are methods that become a field of their object.
var plainly = map[string]string{"InitrdsFor": "Initrds", "Repos": "MachineRepos"}

// rewriter turns method calls into look-ups and notes which parameters are asked for and which templates are called.
type rewriter struct{ keys, calls map[string]bool }

func (r *rewriter) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			r.pipe(n.Pipe)
		case *parse.IfNode:
			r.branch(&n.BranchNode)
		case *parse.RangeNode:
			r.branch(&n.BranchNode)
		case *parse.WithNode:
			r.branch(&n.BranchNode)
		case *parse.TemplateNode:
			r.calls[n.Name] = true
			r.pipe(n.Pipe)
		}
	}
}

func (r *rewriter) branch(b *parse.BranchNode) {
	r.pipe(b.Pipe)
	r.list(b.List)
	r.list(b.ElseList)
}

func (r *rewriter) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for _, c := range p.Cmds {
		r.command(c)
	}
}

func (r *rewriter) command(c *parse.CommandNode) {
	for _, arg := range c.Args[1:] {
		if p, ok := arg.(*parse.PipeNode); ok {
			r.pipe(p)
		}
	}
	var idents []string
	switch first := c.Args[0].(type) {
	case *parse.PipeNode:
		r.pipe(first)
		return
	case *parse.FieldNode:
		idents = first.Ident
	case *parse.VariableNode:
		idents = first.Ident[1:]
	}
	if len(idents) == 0 {
		return
	}
	method := idents[len(idents)-1]
	if printed[method] {
		c.Args = append([]parse.Node{parse.NewIdentifier("print"), &parse.StringNode{NodeType: parse.NodeString, Quoted: `"` + method + ` "`}}, c.Args[1:]...)
		return
	}
	if field, ok := plainly[method]; ok {
		idents[len(idents)-1], c.Args = field, c.Args[:1]
		return
	}
	if method == "VersionEq" && len(c.Args) == 2 {
		idents[len(idents)-1] = "Version"
		c.Args = []parse.Node{parse.NewIdentifier("eq"), c.Args[0], c.Args[1]}
		return
	}
	function, ok := lookups[method]
	if !ok || len(c.Args) < 2 {
		return
	}
	if s, ok := c.Args[1].(*parse.StringNode); ok {
		r.keys[s.Text] = true
	}
	if function == "json" {
		c.Args = append([]parse.Node{parse.NewIdentifier("toJson")}, c.Args[1:]...)
		return
	}
	idents[len(idents)-1] = "Params"
	c.Args = append([]parse.Node{parse.NewIdentifier(function), c.Args[0]}, c.Args[1:]...)
}

// rewrite is a template after rewriting.
type rewrite struct {
	text        string
	keys, calls map[string]bool
}

// rewritten gives a template after rewriting, or false when it does not parse.
func rewritten(text string) (*rewrite, bool) {
	t, err := template.New("main").Funcs(funcs).Parse(text)
	if err != nil || t.Tree == nil {
		return nil, false
	}
	r := &rewriter{keys: map[string]bool{}, calls: map[string]bool{}}
	r.list(t.Root)
	return &rewrite{t.Root.String(), r.keys, r.calls}, true
}
