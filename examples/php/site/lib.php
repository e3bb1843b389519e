<?php
// What every page needs: the session, the store, the frame. Included, and of no use by itself.
declare(strict_types=1);

if (count(get_included_files()) < 2) {
	http_response_code(404);
	exit;
}

function data_dir(string $name): string
{
	$dir = (getenv('APP_DATA') ?: sys_get_temp_dir() . '/weir-notes') . "/$name";
	if (!is_dir($dir) && !mkdir($dir, 0700, true) && !is_dir($dir))
		throw new RuntimeException("cannot make $dir");
	return $dir;
}

function begin_session(): void
{
	session_save_path(data_dir('sessions'));
	session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'use_strict_mode' => true]);
	$_SESSION['token'] ??= bin2hex(random_bytes(16));
}

/** Ends the request of a form that this session has not been given. */
function check_token(): void
{
	if (hash_equals($_SESSION['token'], (string)($_POST['token'] ?? '')))
		return;
	http_response_code(403);
	exit("This form is from another session.\n");
}

function see_other(string $where): never
{
	header("Location: $where", true, 303);
	exit;
}

function e(?string $text): string
{
	return htmlspecialchars((string)$text, ENT_QUOTES | ENT_SUBSTITUTE);
}

/** @return array<int, array{name: string, text: string, at: int}> newest first */
function notes(): array
{
	$file = data_dir('notes') . '/notes.json';
	$notes = is_file($file) ? json_decode(file_get_contents($file), true) : [];
	return array_reverse($notes, true);
}

function add_note(string $name, string $text): int
{
	$f = fopen(data_dir('notes') . '/notes.json', 'c+');
	flock($f, LOCK_EX);
	$notes = json_decode(stream_get_contents($f) ?: '[]', true);
	$notes[] = ['name' => $name, 'text' => $text, 'at' => time()];
	ftruncate($f, 0);
	rewind($f);
	fwrite($f, json_encode($notes));
	fclose($f);
	return array_key_last($notes);
}

function page(string $title, string $body): void
{
	header('Content-Type: text/html; charset=utf-8');
	$said = $_SESSION['said'] ?? null;
	unset($_SESSION['said']);
	echo '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>', e($title), "</title>\n",
		'<link rel="stylesheet" href="/style.css"><link rel="icon" href="/icon.svg"></head><body>', "\n",
		'<nav><a href="/">Notes</a> <a href="/files.php">Files</a> <a href="/about.php">About</a></nav>', "\n",
		$said === null ? '' : '<p id="said">' . e($said) . "</p>\n", $body,
		"\n<script src=\"/page.js\"></script></body></html>\n";
}
