package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand"
	"slices"
	"strconv"
	"strings"
)

// The generator makes templates from a grammar: mostly well typed, so that they get far, and wrong
// often enough to see how they fail. Half of them are careful: kinds fit, so that they get to their end.
// Of the others one in four is damaged afterwards, for the parser, and half have data of other kinds.

// signature lists a function's parameters and result by letters: s string, i int, n any number,
// f float, b bool, l list, m map, a anything, r regular expression, p printf format, t time,
// v version, c constraint, j a small constant integer, k a scalar constant, M a map to change, D a
// fresh map. (A map that contains itself would end the Go program.) A * behind the last parameter lets it repeat.
type signature struct{ name, params, result string }

// Functions that are no function of their input are left out: uuidv4, rand*, gen*, shuffle, htpasswd,
// encryptAES, getHostByName. So is derivePassword, which is slow.
var signatures = []signature{
	{"and", "aa*", "a"}, {"or", "aa*", "a"}, {"not", "a", "b"}, {"len", "a", "i"},
	{"len", "l", "i"}, {"len", "m", "i"}, {"index", "la*", "a"}, {"index", "li", "a"}, {"index", "ms", "a"},
	{"index", "si", "n"}, {"print", "a*", "s"}, {"println", "a*", "s"}, {"printf", "pa*", "s"},
	{"printf", "pa*", "s"}, {"printf", "paa", "s"}, {"html", "a*", "s"}, {"js", "a*", "s"}, {"urlquery", "a*", "s"},
	{"eq", "aa*", "b"}, {"eq", "ss", "b"}, {"eq", "ii", "b"}, {"ne", "aa", "b"}, {"lt", "nn", "b"}, {"lt", "ii", "b"},
	{"le", "aa", "b"}, {"gt", "ff", "b"}, {"ge", "ss", "b"},
	{"hello", "", "s"}, {"trim", "s", "s"}, {"upper", "s", "s"}, {"lower", "s", "s"}, {"title", "s", "s"},
	{"untitle", "s", "s"}, {"substr", "iis", "s"}, {"repeat", "js", "s"}, {"trimall", "ss", "s"},
	{"trimAll", "ss", "s"}, {"trimSuffix", "ss", "s"}, {"trimPrefix", "ss", "s"}, {"contains", "ss", "b"},
	{"hasPrefix", "ss", "b"}, {"hasSuffix", "ss", "b"}, {"quote", "a*", "s"}, {"squote", "a*", "s"},
	{"cat", "a*", "s"}, {"indent", "js", "s"}, {"nindent", "js", "s"}, {"replace", "sss", "s"},
	{"plural", "ssi", "s"}, {"abbrev", "is", "s"}, {"abbrevboth", "iis", "s"}, {"trunc", "is", "s"},
	{"toString", "a", "s"}, {"nospace", "s", "s"}, {"initials", "s", "s"}, {"swapcase", "s", "s"},
	{"snakecase", "s", "s"}, {"kebabcase", "s", "s"}, {"camelcase", "s", "s"}, {"wrap", "is", "s"},
	{"wrapWith", "iss", "s"}, {"list", "a*", "l"}, {"tuple", "a*", "l"}, {"append", "la", "l"}, {"push", "la", "l"},
	{"mustAppend", "la", "l"}, {"mustPush", "la", "l"}, {"prepend", "la", "l"}, {"mustPrepend", "la", "l"},
	{"first", "l", "a"}, {"mustFirst", "l", "a"}, {"last", "l", "a"}, {"mustLast", "l", "a"}, {"rest", "l", "l"},
	{"mustRest", "l", "l"}, {"initial", "l", "l"}, {"mustInitial", "l", "l"}, {"reverse", "l", "l"},
	{"mustReverse", "l", "l"}, {"compact", "l", "l"}, {"mustCompact", "l", "l"}, {"uniq", "l", "l"},
	{"mustUniq", "l", "l"}, {"without", "la*", "l"}, {"mustWithout", "la*", "l"}, {"has", "al", "b"},
	{"mustHas", "al", "b"}, {"slice", "lnn", "l"}, {"slice", "ln*", "l"}, {"mustSlice", "ln*", "l"},
	{"concat", "l*", "l"}, {"sortAlpha", "a", "l"}, {"toStrings", "a", "l"}, {"join", "sa", "s"}, {"join", "sl", "s"},
	{"split", "ss", "m"}, {"splitn", "sis", "m"}, {"splitList", "ss", "l"}, {"dict", "sa*", "m"}, {"dict", "sasa", "m"},
	{"get", "ms", "a"}, {"set", "Msk", "m"}, {"unset", "Ms", "m"}, {"hasKey", "ms", "b"}, {"keys", "m*", "l"}, {"values", "m", "l"}, {"pluck", "sm*", "l"},
	{"pick", "ms*", "m"}, {"omit", "ms*", "m"}, {"merge", "DD*", "m"}, {"mustMerge", "DD*", "m"},
	{"mergeOverwrite", "DD*", "m"}, {"mustMergeOverwrite", "DD*", "m"}, {"deepCopy", "a", "a"},
	{"mustDeepCopy", "m", "m"}, {"deepEqual", "aa", "b"}, {"atoi", "s", "i"}, {"int", "a", "i"}, {"int64", "a", "n"},
	{"float64", "a", "f"}, {"toDecimal", "a", "n"}, {"add1", "a", "n"}, {"add", "a*", "n"}, {"sub", "aa", "n"},
	{"div", "aa", "n"}, {"mod", "aa", "n"}, {"mul", "aa*", "n"}, {"max", "aa*", "n"}, {"biggest", "aa*", "n"},
	{"min", "aa*", "n"}, {"ceil", "a", "f"}, {"floor", "a", "f"}, {"round", "ai", "f"}, {"round", "fif", "f"},
	{"until", "j", "l"}, {"untilStep", "jjj", "l"}, {"seq", "j*", "s"}, {"toJson", "a", "s"}, {"mustToJson", "a", "s"},
	{"toPrettyJson", "a", "s"}, {"mustToPrettyJson", "a", "s"}, {"toRawJson", "a", "s"}, {"mustToRawJson", "a", "s"},
	{"default", "aa", "a"}, {"empty", "a", "b"}, {"coalesce", "a*", "a"}, {"ternary", "aab", "a"},
	{"typeOf", "a", "s"}, {"typeIs", "sa", "b"}, {"typeIsLike", "sa", "b"}, {"kindOf", "a", "s"}, {"kindIs", "sa", "b"},
	{"base", "s", "s"}, {"dir", "s", "s"}, {"clean", "s", "s"}, {"ext", "s", "s"}, {"isAbs", "s", "b"},
	{"b64enc", "s", "s"}, {"b64dec", "s", "s"}, {"b32enc", "s", "s"}, {"b32dec", "s", "s"},
	{"sha1sum", "s", "s"}, {"sha256sum", "s", "s"}, {"adler32sum", "s", "s"},
	{"semver", "v", "a"}, {"semverCompare", "cv", "b"}, {"regexMatch", "rs", "b"}, {"mustRegexMatch", "rs", "b"},
	{"regexFindAll", "rsi", "l"}, {"mustRegexFindAll", "rsi", "l"}, {"regexFind", "rs", "s"},
	{"mustRegexFind", "rs", "s"}, {"regexReplaceAll", "rss", "s"}, {"mustRegexReplaceAll", "rss", "s"},
	{"regexReplaceAllLiteral", "rss", "s"}, {"mustRegexReplaceAllLiteral", "rss", "s"}, {"regexSplit", "rsi", "l"},
	{"mustRegexSplit", "rsi", "l"}, {"urlParse", "s", "m"}, {"urlJoin", "m", "s"}, {"toDate", "Ts", "t"},
	{"mustToDate", "Ts", "t"}, {"date", "Tt", "s"}, {"dateInZone", "Ttz", "s"}, {"date_in_zone", "Ttz", "s"},
	{"dateModify", "dt", "t"}, {"date_modify", "dt", "t"}, {"mustDateModify", "dt", "t"},
	{"must_date_modify", "dt", "t"}, {"htmlDate", "t", "s"}, {"htmlDateInZone", "tz", "s"}, {"unixEpoch", "t", "s"},
	{"duration", "a", "s"}, {"durationRound", "d", "s"}, {"decryptAES", "ss", "s"}, {"buildCustomCert", "ss", "a"},
}

var (
	strs = []string{
		``, `a`, `abc`, `foo bar`, `Hello World`, ` x y `, `1`, `-7`, `0x1F`, `017`, `3.14`, `1e3`, `true`, `false`,
		`foo/bar/baz.txt`, `/etc/../x/`, `a,b,c`, `HTTPServer2xx`, `first_name-x`, `Duration2m3s`, `héllo wörld`, `日本語 text`,
		`<a href="x">&'</a>`, `line1\nline2\n`, `\t tab`, `aGVsbG8=`, `NBSWY3DP`, `%d %s`, `_0`, `k`, `x`, `nested`,
		`string`, `map[string]interface {}`, `slice`, `float64`, `\xff\xfe`, `9223372036854775807`, `99999999999999999999`,
		`http://user:pw@host:80/p%20a/th?q=1&r=#frag`, `mailto:a@b`, `$1`, `${x}y`, `12:34`, `ünï`, `ΑΒΓ ßs`, `a.b.c`,
	}
	regexes = []string{
		`a`, `[a-z]+`, `^foo`, `o$`, `(\\w+)\\s(\\w+)`, `\\d+`, `.`, `.*`, `a*`, `x*`, `(?i)HELLO`, `[^a-z ]`, `b|`, ``,
		`(?P<x>l+)(?P<y>o)`, `[`, `a(`, `*`, `a**`, `[z-a]`, `(?s).+`, `\\pL+`, `[[:alpha:]]+`, `\\b`, `a{2}`, `a{2,1}`, `l{1,2}?`,
		`\\Qa.b\\E`, `(?:a|b)+?c`, `\\8`, `(?z)`, `[a&&b]`, `[\\d-]`, `)`, `a{1001}`, `\\x41`, `\\x{e9}`, `\\S+$`, `(a)|b`,
	}
	formats = []string{
		`%v`, `%d`, `%s`, `%q`, `%x`, `%X`, `%5.2f`, `%t`, `%T`, `%+v`, `%#v`, `%c`, `%U`, `%#U`, `%e`, `%g`, `%G`, `%b`, `%o`, `%O`,
		`%#x`, `%#o`, `% x`, `% d`, `%+d`, `%05d`, `%-5d|`, `%8s|`, `%-8s|`, `%.2s`, `%*d`, `%.*f`, `%[2]v %[1]v`, `%[3]d`, `%!`, `%`,
		`%%`, `%z`, `%v %v`, `%06.2f`, `%+.3e`, `%#q`, `%+q`, `%x %X`, `%[1]d %d`, `%w`, `%-010d|`, `%08.3f`, `%+q`, `%#g`, `%F`, `%E`,
		`%6.3v`, `%[a]d`, `%.[2]*[1]f`, `%-+8q|`, `%v %d %s %q`, `% X`, `%# x`, `%+x`, `%#X`, `%+U`, `%20.10f|`,
	}
	versions    = []string{`1.2.3`, `v1.2`, `1`, `1.2.3-beta.1+b5`, `x`, ``, `01.2.3`, `1.2.3-01`, `2.0.0-rc`, `1.2.3.4`}
	constraints = []string{`>=1.0.0`, `^1.2`, `~1.2.0`, `1.x`, `*`, `!=1.2.3`, `>1, <2`, `1.0 - 2.0`, `<1 || >=2`, `foo`, `~0`, `^0.0.1`, `=1.2.3`, `>=1.2.3-beta`, `1.2`, ``}
	layouts     = []string{`2006-01-02`, `2006-01-02T15:04:05Z07:00`, `Mon Jan _2 15:04:05 2006`, `Monday, 02-Jan-06 15:04:05 MST`, `15:04`, `3:04PM`, `Jan 2`, `2006-01-02 15:04:05.000 -0700`, `06-1-2`, `02/Jan/2006:15:04:05 -0700`, `002`, `.999`, `x`}
	dates       = []string{`2020-05-17`, `2020-05-17T10:20:30Z`, `Sun May 17 10:20:30 2020`, `10:20`, `3:04PM`, `bad`, `2020-13-01`, `2021-02-29`, `2020-05-17 10:20:30.123 +0200`, `20-5-7`, ``}
	zones       = []string{`UTC`, `Local`, `America/New_York`, `Europe/Berlin`, `Nowhere/Land`, ``, `Asia/Kolkata`}
	durations   = []string{`1h`, `-2h30m`, `1.5s`, `100ms`, `x`, ``, `24h`, `8760h1m`, `750h`, `+5m`, `1d`, `0`, `36h`, `3us`}
	numbers     = []string{
		`0`, `1`, `2`, `3`, `-1`, `7`, `10`, `100`, `-5`, `1.5`, `0.0`, `-0.5`, `1e3`, `1e6`, `2.5e-7`, `0x1F`, `017`, `0b101`, `1_000`,
		`'a'`, `'\n'`, `999999`, `1000000`, `123456789`, `1e21`, `1i`, `9223372036854775807`, `9223372036854775808`, `20.04`, `0x1p4`,
	}
	ints   = []string{`0`, `1`, `2`, `3`, `4`, `5`, `-1`, `-2`, `8`, `12`, `100`}
	fields = []string{
		`.s`, `.i`, `.f`, `.big`, `.b`, `.f0`, `.nil`, `.l`, `.m`, `.ll`, `.lm`, `.el`, `.em`, `.missing`, `.m.x`, `.m.nested.k`, `.m.missing.y`,
		`.nil.x`, `.s.x`, `.f.y`, `.l.x`, `.ls`, `.mixed`, `.neg`, `.zero`, `.es`, `.u`, `$.s`, `$.m.nested`, `$.l`, `.`, `$`, `.tiny`, `.m.list`,
	}
	typed = map[byte][]string{
		's': {`.s`, `.m.x`, `.u`, `.es`, `$.s`, `.m.nested.k`}, 'f': {`.f`, `.i`, `.big`, `.neg`, `.zero`, `.tiny`},
		'n': {`.f`, `.i`, `.big`, `.neg`}, 'b': {`.b`, `.f0`}, 'l': {`.l`, `.ll`, `.lm`, `.el`, `.ls`, `.mixed`, `.m.list`, `$.l`},
		'm': {`.m`, `.m.nested`, `.em`, `$.m`, `.m.nested.deep`, `$`},
	}
	// safe are the fields that the sample data has.
	safe = []string{
		`.s`, `.i`, `.f`, `.big`, `.b`, `.f0`, `.nil`, `.l`, `.m`, `.ll`, `.lm`, `.el`, `.em`, `.m.x`, `.m.nested.k`, `.ls`, `.mixed`, `.neg`,
		`.zero`, `.es`, `.u`, `$.s`, `$.m.nested`, `$.l`, `$`, `.tiny`, `.m.list`, `$.m.empty`, `$.m.nested.deep.z`,
	}
	words = []string{"text ", "\n", "a\n", "  b  ", "\tx\n", "{ ", "}", "é", "\r\n", " "}
)

type generator struct {
	r    *rand.Rand
	vars []string
	next int
	// inRange says whether break and continue are allowed.
	inRange int
	// careful makes arguments of the right kinds only, so that more of the text is rendered.
	careful bool
}

func pick[T any](g *generator, from []T) T { return from[g.r.Intn(len(from))] }

func (g *generator) quoted(s string) string { return `"` + s + `"` }

func (g *generator) constant(kind byte) string {
	if pieces[kind] != nil && g.r.Intn(8) == 0 && (kind != 's' || g.r.Intn(8) == 0) {
		return g.quotedPieces(kind)
	}
	switch kind {
	case 's':
		if s := pick(g, strs); g.r.Intn(8) == 0 && !strings.ContainsAny(s, "`\\") {
			return "`" + s + "`"
		} else {
			return g.quoted(strings.ReplaceAll(s, `"`, `\"`))
		}
	case 'r':
		return g.quoted(pick(g, regexes))
	case 'p':
		return g.quoted(pick(g, formats))
	case 'v':
		return g.quoted(pick(g, versions))
	case 'c':
		return g.quoted(pick(g, constraints))
	case 'T':
		return g.quoted(pick(g, layouts))
	case 'z':
		return g.quoted(pick(g, zones))
	case 'd':
		return g.quoted(pick(g, durations))
	case 't':
		return fmt.Sprintf("(toDate %q %q)", pick(g, layouts), pick(g, dates))
	case 'i':
		return pick(g, ints)
	case 'n', 'f':
		switch n := g.r.Intn(100); {
		case n < 20:
			return g.decimal()
		case n == 20 && !g.careful:
			return g.joined('N')
		}
		return pick(g, numbers)
	case 'b':
		return pick(g, []string{"true", "false"})
	case 'l':
		return pick(g, []string{`(list)`, `(list 1 2 3)`, `(list "a" "b" nil)`, `(splitList "," "x,y,z")`, `(until 3)`, `(list 1 1.0 "1")`})
	case 'm':
		return pick(g, []string{`(dict)`, `(dict "k" 1 "x" "y")`, `(dict "nested" (dict "k" 2))`, `(split "," "x,y")`})
	}
	return g.constant(pick(g, []byte("siinfblm")))
}

func (g *generator) operand(kind byte, depth int) string {
	switch kind {
	case 'j':
		if g.r.Intn(20) == 0 {
			return pick(g, []string{".f", "nil", `"x"`, "1.5", ".missing"})
		}
		return pick(g, ints)
	case 't', 'T', 'z', 'd', 'r', 'p', 'v', 'c':
		// Anything but a time would mean now.
		if kind == 't' || g.r.Intn(4) != 0 {
			return g.constant(kind)
		}
	case 'k':
		return g.constant(pick(g, []byte("sinbf")))
	case 'M':
		return pick(g, []string{".em", ".m.nested", "(dict)", `(dict "k" 1)`, ".missing", "(deepCopy .m)", ".s", "nil", "$.em"})
	case 'D':
		return pick(g, []string{"(dict)", `(dict "k" 1 "l" (list 1))`, "(deepCopy .m)", `(dict "x" "" "nested" (dict "k" 0 "q" 5) "list" (list) "n" nil)`,
			`(dict "m" .s "nested" 3 "list" (list 4))`, "(deepCopy $)", ".s", "nil", "(dict \"nested\" (deepCopy .m))"})
	}
	if !g.careful && g.r.Intn(60) == 0 {
		kind = pick(g, []byte("sinfblma"))
	}
	switch n := g.r.Intn(100); {
	case g.careful && n >= 35 && n < 54:
		return g.carefulOperand(kind)
	case n < 35 || depth <= 0:
		if fs := typed[kind]; fs != nil && g.r.Intn(2) == 0 {
			return g.rooted(pick(g, fs))
		}
		return g.constant(kind)
	case n < 40 && kind == 'a', n < 41:
		return g.rooted(pick(g, fields))
	case n < 42 || n < 45 && kind == 'a':
		return "nil"
	case n < 52 && len(g.vars) > 0:
		v := pick(g, g.vars)
		if g.r.Intn(6) == 0 {
			v += pick(g, []string{".x", ".k", ".nested.k"})
		}
		return v
	case n < 56 && kind == 'a':
		return g.member()
	case n < 54:
		return "(" + g.pipeline(depth-1) + ")" + pick(g, []string{".x", ".k", ".nested", ".nested.k", "._0"})
	default:
		return "(" + g.call(kind, depth-1) + ")"
	}
}

// carefulOperand is a field or variable of the kind; a variable can be anything.
func (g *generator) carefulOperand(kind byte) string {
	switch fs := typed[kind]; {
	case fs != nil:
		return g.rooted(pick(g, fs))
	case kind == 'a' && len(g.vars) > 0 && g.r.Intn(2) == 0:
		return pick(g, g.vars)
	case kind == 'a':
		return g.rooted(pick(g, safe))
	}
	return g.constant(kind)
}

// rooted makes a field one of the data, whatever dot is.
func (g *generator) rooted(field string) string {
	if len(field) > 1 && field[0] == '.' && (g.careful || g.r.Intn(4) == 0) {
		return "$" + field
	}
	return field
}

func (g *generator) call(kind byte, depth int) string {
	sig := g.function(kind)
	return sig.name + g.arguments(sig.params, depth)
}

func (g *generator) function(kind byte) signature {
	for try := 0; try < 40; try++ {
		sig := pick(g, signatures)
		if kind == 'a' || strings.IndexByte(sig.result, kind) >= 0 {
			return sig
		}
	}
	return pick(g, signatures)
}

func (g *generator) arguments(params string, depth int) string {
	var b strings.Builder
	for i := 0; i < len(params); i++ {
		if params[i] == '*' {
			continue
		}
		count := 1
		if i+1 < len(params) && params[i+1] == '*' {
			count = g.r.Intn(4)
		}
		for ; count > 0; count-- {
			b.WriteString(" " + g.operand(params[i], depth))
		}
	}
	if !g.careful && g.r.Intn(60) == 0 {
		b.WriteString(" " + g.operand('a', depth))
	}
	return b.String()
}

// piped makes a call whose last argument comes down the pipe.
func (g *generator) piped(depth int) string {
	sig := pick(g, signatures)
	for strings.HasSuffix(sig.params, "t") {
		// Anything but a time would mean now.
		sig = pick(g, signatures)
	}
	params := strings.TrimSuffix(sig.params, "*")
	if params != "" {
		params = params[:len(params)-1]
	}
	return sig.name + g.arguments(params, depth)
}

func (g *generator) pipeline(depth int) string {
	if g.careful {
		return g.carefulPipeline(depth)
	}
	p := ""
	switch g.r.Intn(4) {
	case 0:
		p = g.operand('a', depth)
	default:
		p = g.call('a', depth)
	}
	for g.r.Intn(3) == 0 {
		p += " | " + g.piped(depth-1)
	}
	return p
}

// carefulPipeline pipes values only into functions that take anything.
func (g *generator) carefulPipeline(depth int) string {
	p := g.call('a', depth)
	for g.r.Intn(3) == 0 {
		sig := pick(g, signatures)
		for !strings.HasSuffix(strings.TrimSuffix(sig.params, "*"), "a") {
			sig = pick(g, signatures)
		}
		params := strings.TrimSuffix(sig.params, "*")
		p += " | " + sig.name + g.arguments(params[:len(params)-1], depth-1)
	}
	return p
}

func (g *generator) open() string  { return pick(g, []string{"{{", "{{", "{{", "{{", "{{- ", "{{ "}) }
func (g *generator) close() string { return pick(g, []string{"}}", "}}", "}}", "}}", " -}}", " }}"}) }

func (g *generator) action(body string) string { return g.open() + body + g.close() }

func (g *generator) variable() string {
	if len(g.vars) > 0 && g.r.Intn(3) == 0 {
		return pick(g, g.vars)
	}
	g.next++
	return fmt.Sprintf("$v%d", g.next)
}

func (g *generator) block(depth int) string {
	var b strings.Builder
	mark := len(g.vars)
	for n := 1 + g.r.Intn(3); n > 0; n-- {
		b.WriteString(g.statement(depth))
	}
	g.vars = g.vars[:mark]
	return b.String()
}

func (g *generator) statement(depth int) string {
	if depth <= 0 {
		return g.action(g.pipeline(1))
	}
	switch n := g.r.Intn(100); {
	case n < 15:
		return pick(g, words)
	case n < 55:
		return g.action(g.pipeline(3))
	case n < 65:
		v := g.variable()
		s := g.action(v + " := " + g.pipeline(2))
		g.vars = append(g.vars, v)
		return s
	case n < 68 && len(g.vars) > 0:
		return g.action(pick(g, g.vars) + " = " + g.pipeline(2))
	case n < 78:
		return g.condition(depth)
	case n < 90:
		return g.loop(depth)
	case n < 94:
		names := []string{"one", "two", "one", "two", "none"}
		if g.careful {
			names = names[:2]
		}
		return g.action(fmt.Sprintf("template %q%s", pick(g, names), pick(g, []string{"", " .", " .m", " $", " .l"})))
	case n < 95:
		return g.open() + "/* comment */" + g.close()
	case n < 97 && g.inRange > 0:
		return g.action(pick(g, []string{"break", "continue"}))
	case n < 98:
		return g.action(fmt.Sprintf("block \"b%d\" %s", g.r.Intn(1000), g.operand('a', 1))) + pick(g, words) + "{{.}}" + g.action("end")
	default:
		return pick(g, words)
	}
}

func (g *generator) condition(depth int) string {
	word := pick(g, []string{"if", "if", "with"})
	mark := len(g.vars)
	head := g.operandOrPipe()
	if g.r.Intn(6) == 0 {
		v := g.variable()
		head = v + " := " + head
		g.vars = append(g.vars, v)
	}
	s := g.action(word+" "+head) + g.block(depth-1)
	if g.r.Intn(4) == 0 {
		s += g.action("else "+word+" "+g.operandOrPipe()) + g.block(depth-1)
	}
	if g.r.Intn(2) == 0 {
		s += g.action("else") + g.block(depth-1)
	}
	g.vars = g.vars[:mark]
	return s + g.action("end")
}

func (g *generator) operandOrPipe() string {
	if g.careful && g.r.Intn(2) == 0 {
		return g.rooted(pick(g, safe))
	}
	if !g.careful && g.r.Intn(2) == 0 {
		return pick(g, fields)
	}
	return g.pipeline(2)
}

func (g *generator) loop(depth int) string {
	mark := len(g.vars)
	kinds := []byte("lllmmi")
	if g.careful {
		kinds = kinds[:5]
	}
	over := g.operand(pick(g, kinds), 2)
	if !g.careful && g.r.Intn(7) == 0 {
		// Not any number: loops of a thousand million turns tell nothing.
		over = pick(g, fields)
	}
	head := "range "
	switch g.r.Intn(5) {
	case 0:
		v := g.variable()
		head += v + " := "
		g.vars = append(g.vars, v)
	case 1:
		i, v := g.variable(), g.variable()
		head += i + ", " + v + " := "
		g.vars = append(g.vars, i, v)
	case 2:
		if len(g.vars) > 1 {
			head += pick(g, g.vars) + ", " + pick(g, g.vars) + " = "
		}
	}
	g.inRange++
	s := g.action(head+over) + g.block(depth-1)
	g.inRange--
	if g.r.Intn(3) == 0 {
		s += g.action("else") + g.block(depth-1)
	}
	g.vars = g.vars[:mark]
	return s + g.action("end")
}

// damage breaks a text somewhere, for the errors of the parser.
func (g *generator) damage(s string) string {
	junk := []string{"{{", "}}", "(", ")", "\"", "|", " ", ".", "$", "$x", ":=", "=", ",", "{{end}}", "{{else}}", "{{if .}}", "'", "`", "-", "\n",
		"{{define \"d\"}}", "nil", "1", "é", "€", "\x00", "/*", "*/", "{{break}}", "_", "range", "with", "template", "foo", "..", "{{- ", " -}}", "0x", "1.2.3", "\\"}
	for n := 1 + g.r.Intn(3); n > 0; n-- {
		runes := []rune(s)
		if len(runes) < 2 {
			return s + pick(g, junk)
		}
		at := g.r.Intn(len(runes))
		switch g.r.Intn(3) {
		case 0:
			s = string(runes[:at]) + string(runes[at+1:])
		case 1:
			s = string(runes[:at]) + pick(g, junk) + string(runes[at:])
		default:
			end := min(len(runes), at+1+g.r.Intn(5))
			s = string(runes[:at]) + string(runes[end:])
		}
	}
	return s
}

const sampleData = `{"s":"hello world","i":42,"f":3.75,"big":1234567,"b":true,"f0":false,"nil":null,"l":[1,"two",3.5,null,true],
"m":{"x":"y","n":7,"nested":{"k":"v","deep":{"z":[1,2]}},"list":["p","q","r"],"empty":null},"ll":[[1,2],["a"],[]],
"lm":[{"x":1,"k":"a"},{"x":2},{"k":null}],"el":[],"em":{},"ls":["c","a","b","a"],"mixed":[1,1,"1",[1],[1],{"a":1},{"a":1},null],
"neg":-2.5,"zero":0,"es":"","u":"Grüße, 世界 <&>","tiny":1e-7}`

// numerals are numbers as JSON writes them, from the smallest to the largest and across the changes of Go's format.
var numerals = []string{
	`0`, `1`, `-1`, `2`, `7`, `10`, `255`, `0.1`, `-0.5`, `3.14159`, `100`, `1e5`, `999999`, `1e6`, `1000001`, `123456789`, `1e20`,
	`1e21`, `123456789012345678`, `9007199254740993`, `-9223372036854775808`, `9223372036854775807`, `1.5e-5`, `1e-7`, `5e-324`,
	`1.7976931348623157e308`, `-0.0`, `20.04`, `1e100`, `-0`, `1E5`, `1e+6`, `1.50`, `0.000000000000000000000000000001`, `18446744073709551616`,
	`100000000000000000000000`, `2.2250738585072011e-308`, `4.35e0`, `1e-400`, `8.41e21`, `9007199254740992.5`, `29197.977131508974e-6`,
}

// texts are strings as JSON may write them: escapes that need not be, halves of surrogate pairs, bytes that are no UTF-8.
var texts = []string{
	`"\u0041\/\b\f"`, `"\ud834\udd1e"`, `"\ud834x"`, `"\udd1e"`, `"\ud834\ud834\udd1e"`, `"\u0000"`, `"\u2028<\u003c"`, `"\\ud834"`, `"\uFFFD"`,
	"\"a\xffb\"", "\"\xe2\x82\"", "\"\xed\xa0\xb4\"", "\"\x7f\u2029\"", `"\u00e9\u0301"`, `"\ud83d\u0041"`,
}

// odd are objects as JSON may write them: keys twice, keys of all bytes.
var odd = []string{
	`{"k":1,"k":2}`, `{"x":{"k":1},"x":{"z":2}}`, `{"\u006b":3,"k":"last"}`, `{"\ud834":1}`, "{\"\xff\":1,\"nested\":{\"k\":[]}}",
}

// decimal writes any float64 with 17 digits, or any digits: most numbers are not what a shorter way to write them stands for.
func (g *generator) decimal() string {
	if g.r.Intn(2) == 0 {
		for {
			if number := math.Float64frombits(g.r.Uint64()); !math.IsNaN(number) && !math.IsInf(number, 0) {
				return strconv.FormatFloat(number, 'e', 16, 64)
			}
		}
	}
	if g.r.Intn(4) == 0 {
		// Of the shortest forms of such numbers, two may be equally near.
		return strconv.FormatFloat(float64(g.r.Int63n(1<<53))/float64(int64(1)<<g.r.Intn(50)), 'f', -1, 64)
	}
	digits := strconv.FormatUint(g.r.Uint64()>>g.r.Intn(60), 10)
	if point := g.r.Intn(len(digits)); point > 0 {
		digits = digits[:point] + "." + digits[point:]
	}
	if g.r.Intn(2) == 0 {
		digits += fmt.Sprint("e", g.r.Intn(60)-30)
	}
	return pick(g, []string{"", "-"}) + digits
}

// number is one as JSON writes it.
func (g *generator) number() json.RawMessage {
	if g.r.Intn(2) == 0 {
		return json.RawMessage(g.decimal())
	}
	return json.RawMessage(pick(g, numerals))
}

// value makes up data of any kind.
func (g *generator) value(depth int) any {
	switch n := g.r.Intn(14); {
	case n < 1:
		return nil
	case n < 3:
		return g.r.Intn(2) == 0
	case n < 6:
		return g.number()
	case n == 6 && g.r.Intn(3) == 0:
		return json.RawMessage(pick(g, texts))
	case n == 13 && g.r.Intn(6) == 0:
		return json.RawMessage(pick(g, odd))
	case n < 10 || depth <= 0:
		return pick(g, strs)
	case n < 12:
		list := make([]any, g.r.Intn(5))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return list
	default:
		object := map[string]any{}
		for range g.r.Intn(5) {
			object[pick(g, []string{"k", "x", "nested", "a b", "é", "", "_0", "list", "0", "deep"})] = g.value(depth - 1)
		}
		return object
	}
}

// data is the sample; of every other question with values of other kinds here and there.
func (g *generator) data() any {
	var data map[string]any
	if err := json.Unmarshal([]byte(sampleData), &data); err != nil {
		panic(err)
	}
	if g.careful || g.r.Intn(2) == 0 {
		if g.r.Intn(2) == 0 {
			data[pick(g, []string{"f", "neg", "tiny", "big"})] = g.number()
		}
		return data
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if g.r.Intn(4) == 0 {
			data[key] = g.value(3)
		}
	}
	if g.r.Intn(30) == 0 {
		return g.value(2)
	}
	return data
}

func (g *generator) question(n int) question {
	g.vars, g.next, g.inRange = nil, 0, 0
	g.careful = g.r.Intn(2) == 0
	data := g.data()
	text := func() string {
		s := ""
		for k := 1 + g.r.Intn(3); k > 0; k-- {
			s += g.statement(3)
		}
		g.vars = nil
		return s
	}
	q := question{Name: fmt.Sprint("r", n), Main: "main", Data: data, Templates: map[string]string{"main": text()}}
	if strings.Contains(q.Templates["main"], `template "`) {
		// A template that calls itself ends at different depths in the two engines.
		q.Templates["one"] = strings.ReplaceAll(text(), `template "one"`, `template "two"`)
		q.Templates["two"] = "<{{.}}>"
	}
	q.MissingKey = pick(g, []string{"default", "default", "default", "zero", "error"})
	if !g.careful && g.r.Intn(4) == 0 {
		q.Templates["main"] = g.damage(q.Templates["main"])
	}
	return q
}

func generate(out io.Writer, count int, seed int64) error {
	g := &generator{r: rand.New(rand.NewSource(seed))}
	w := bufio.NewWriter(out)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := range count {
		if err := enc.Encode(g.question(n)); err != nil {
			return err
		}
	}
	return nil
}
