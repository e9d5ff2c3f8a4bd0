#compdef tpm-psk
# SPDX-License-Identifier: BSD-2-Clause
# zsh completion for tpm-psk. Commands and options are those of its --help, keys those that the daemon lists.

_tpm_psk_help()
{
	_call_program help $tpm_psk $@ --help 2>/dev/null
}

# The words that the help of an option lists behind its colon.
_tpm_psk_words()
{
	_tpm_psk_help key generate | sed -n "/^  $1 /,/^  --/{/^  $1 /{s/.*://;p;};/^    /p;}" |
		grep -oE '[a-z0-9]+(-[a-z0-9]+)+' | tr '\n' ' '
}

# "--option[what it is]:value" of each option, for _arguments.
_tpm_psk_options()
{
	local line name value text
	_tpm_psk_help $@ | while IFS= read -r line; do
		[[ $line =~ '^  (--[a-z-]+) ?([A-Z.]*) +(.*)$' ]] || continue
		name=$match[1] value=${match[2]%...} text=${${match[3]//\[/(}//\]/)}
		text=${text//:/ }
		case $name in
		--purpose) print -r -- "${name}[$text]:purpose:($(_tpm_psk_words $name))" ;;
		--algorithm) print -r -- "${name}[$text]:algorithm:($(_tpm_psk_words $name))" ;;
		--mode) print -r -- "${name}[$text]:mode:(strict epoch)" ;;
		--role) print -r -- "${name}[$text]:role:(client server)" ;;
		--allow) print -r -- "*${name}[$text]:who:_tpm_psk_who" ;;
		--replaces) print -r -- "${name}[$text]:key:_tpm_psk_keys" ;;
		*) print -r -- "${name}[$text]${value:+:$value:}$([[ $value == (F|FILE|PATH) ]] && print _files)" ;;
		esac
	done
}

_tpm_psk_who()
{
	local -a who
	who=(user:${^${(f)"$(getent passwd 2>/dev/null | cut -d: -f1)"}}
		group:${^${(f)"$(getent group 2>/dev/null | cut -d: -f1)"}} uid: gid:)
	compadd -a who
}

_tpm_psk_keys()
{
	local -a keys
	keys=(${(f)"$(_call_program keys $tpm_psk --timeout 500 key list 2>/dev/null | sed -n '2,$s/ .*//p')"})
	compadd -a keys
}

_tpm_psk_commands()
{
	local -a commands
	commands=(${(f)"$(_tpm_psk_help $@ | sed -n "/^commands:/,/^\$/s/^  ${1:+$1 }\\([a-z]*\\)  *\\(.*\\)/\\1:\\2/p")"})
	[[ -n $1 ]] || commands=(${commands:#key:*} 'key:Manages keys')
	_describe command commands
}

_tpm_psk()
{
	local tpm_psk=$words[1]
	local -a command rest options
	local -i i first

	# Options that may stand before the command are left out of what _arguments sees.
	for (( i = 2; i < CURRENT; i++ )); do
		case $words[i] in
		--socket | --timeout) (( i++ )); continue ;;
		-*) continue ;;
		esac
		command+=$words[i]
		first=$i
		[[ $words[i] == key && $#command -eq 1 ]] || break
	done
	if (( i >= CURRENT )) && [[ $words[CURRENT] != -* && -z ${command:#key} ]]; then
		_tpm_psk_commands $command
		return
	fi
	options=(${(f)"$(_tpm_psk_options $command)"})
	case "$command" in
	"key allow" | "key deny") rest=(':key:_tpm_psk_keys' '*:who:_tpm_psk_who') ;;
	"key import" | "key generate" | "key adopt") rest=(':name: ') ;;
	"key list") ;;
	key\ *) rest=(':key:_tpm_psk_keys') ;;
	esac
	(( first )) || first=1
	words=("tpm-psk" ${words[first + 1,-1]})
	(( CURRENT -= first - 1 ))
	_arguments -S $options $rest
}

_tpm_psk "$@"
