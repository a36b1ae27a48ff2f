# man/options.awk - the keys that man/options prints, as the part of witnessd.yaml(5) that stands for the line @OPTIONS@.
# Lines are "INDENT key: kind; default - help" or "INDENT (type NAME) help", two blanks of indent a level.
function roff(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    sub(/^[.']/, "\\\\\\&&", s)
    return s
}
function sentence(s) {
    return roff(toupper(substr(s, 1, 1)) substr(s, 2)) ".\n"
}
function level(to) {
    for (; depth < to; depth++)
        out = out ".RS 4\n"
    for (; depth > to; depth--)
        out = out ".RE\n"
}
FNR == NR {
    match($0, /^ */)
    level(RLENGTH / 2)
    line = substr($0, RLENGTH + 1)
    if (match(line, /^\(type [^)]*\)/)) {
        name = substr(line, 2, RLENGTH - 2)
        sub(/^type /, "type: ", name)
        rest = substr(line, RLENGTH + 2)
    } else {
        colon = index(line, ":")
        name = substr(line, 1, colon - 1)
        rest = substr(line, colon + 2)
    }
    help = ""
    if ((dash = index(rest, " - ")) > 0) {
        help = substr(rest, dash + 3)
        rest = substr(rest, 1, dash - 1)
    }
    out = out ".TP\n.B " roff(name) "\n"
    if (help != "")
        out = out sentence(help) ".br\n"
    if (rest != "")
        out = out sentence(rest)
    next
}
/^@OPTIONS@$/ {
    level(0)
    printf "%s", out
    next
}
{ print }
