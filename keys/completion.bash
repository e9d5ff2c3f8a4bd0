# SPDX-License-Identifier: BSD-2-Clause
# bash completion for tpm-psk. Commands and options are those of its --help, keys those that the daemon lists.
# shellcheck shell=bash

# _tpm_psk_options COMMAND...: the options of a command, one a line.
_tpm_psk_options()
{
	"$tpm_psk" "$@" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p'
}

# _tpm_psk_takes OPTION COMMAND...: whether the option takes a value.
_tpm_psk_takes()
{
	local option=$1

	shift
	"$tpm_psk" "$@" --help 2>/dev/null | grep -Eq "^  $option [A-Z]"
}

# _tpm_psk_words OPTION: the words that the help of an option lists behind its colon.
_tpm_psk_words()
{
	"$tpm_psk" key generate --help 2>/dev/null | sed -n "/^  $1 /,/^  --/{/^  $1 /{s/.*://;p;};/^    /p;}" |
		grep -oE '[a-z0-9]+(-[a-z0-9]+)+'
}

# What may stand behind an option; fails for one that takes anything.
_tpm_psk_values()
{
	case $1 in
	--purpose | --algorithm) _tpm_psk_words "$1" ;;
	--mode) printf '%s\n' strict epoch ;;
	--role) printf '%s\n' client server ;;
	--allow) _tpm_psk_who ;;
	--replaces) _tpm_psk_keys ;;
	*) return 1 ;;
	esac
}

_tpm_psk_who()
{
	compgen -u | sed 's/^/user:/'
	compgen -g | sed 's/^/group:/'
	printf '%s\n' uid: gid:
}

_tpm_psk_keys()
{
	"$tpm_psk" --timeout 500 key list 2>/dev/null | sed -n '2,$s/ .*//p'
}

_tpm_psk()
{
	local tpm_psk=${COMP_WORDS[0]} current option='' word
	local -a command=() arguments=()

	# ':' and '=' part words for the shell; we want user:NAME as one.
	local line=${COMP_LINE:0:COMP_POINT}
	local -a words
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	current=${words[-1]}

	local i
	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		word=${words[i]}
		case $word in
		--*=*) option='' ;;
		--*)
			option=''
			! _tpm_psk_takes "$word" "${command[@]}" || option=$word
			;;
		*)
			if [[ -n $option && $option != --allow ]]; then
				option=''
			elif [[ -n $option ]]; then
				:
			elif [[ ${#command[@]} -eq 0 || ${command[*]} == key ]]; then
				command+=("$word")
			else
				arguments+=("$word")
			fi
			;;
		esac
	done

	local list
	if [[ $current == --* ]]; then
		list=$(_tpm_psk_options "${command[@]}")
	elif [[ -n $option ]] && list=$(_tpm_psk_values "$option"); then
		:
	elif [[ -n $option ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
		return
	elif [[ ${#command[@]} -eq 0 ]]; then
		list=$("$tpm_psk" --help 2>/dev/null | sed -n '/^commands:/,/^$/s/^  \([a-z]*\).*/\1/p' | sort -u)
	elif [[ ${command[*]} == key ]]; then
		list=$("$tpm_psk" key --help 2>/dev/null | sed -n 's/^  key \([a-z]*\).*/\1/p')
	else
		case ${command[*]} in
		"key import" | "key generate" | "key adopt") list= ;;
		"key allow" | "key deny")
			if [[ ${#arguments[@]} -eq 0 ]]; then list=$(_tpm_psk_keys); else list=$(_tpm_psk_who); fi
			;;
		"key list") list= ;;
		key*) [[ ${#arguments[@]} -gt 0 ]] || list=$(_tpm_psk_keys) ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current")
	# What stands before the last ':' is not replaced by the shell.
	if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
	fi
}

complete -F _tpm_psk tpm-psk
