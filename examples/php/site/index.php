<?php
// The notes: / shows them all and takes a new one, /notes/N shows one. The front controller: what is no file comes here.
declare(strict_types=1);
require __DIR__ . '/lib.php';

begin_session();
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

if (preg_match('~^/notes/(\d+)$~', $path, $m)) {
	$note = notes()[(int)$m[1]] ?? null;
	if ($note === null)
		http_response_code(404);
	page("Note $m[1]", $note === null ? '<p>There is no such note.</p>' :
		'<article><h1>' . e($note['name']) . '</h1><p>' . nl2br(e($note['text'])) . '</p></article>');
	exit;
}
if ($path !== '/' && $path !== '/index.php') {
	http_response_code(404);
	page('Not found', '<p>There is no page ' . e($path) . '.</p>');
	exit;
}
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
	check_token();
	$name = trim((string)($_POST['name'] ?? ''));
	$text = trim((string)($_POST['text'] ?? ''));
	if ($name === '' || $text === '') {
		$_SESSION['said'] = 'A note needs a name and a text.';
		see_other('/');
	}
	$_SESSION['name'] = $name;
	$_SESSION['said'] = 'Thank you.';
	see_other('/notes/' . add_note($name, $text));
}

$list = '';
foreach (notes() as $number => $note)
	$list .= "<li><a href=\"/notes/$number\">" . e($note['name']) . '</a>: ' .
		e(mb_strimwidth_or_cut($note['text'])) . "</li>\n";
page('Notes', '<h1>Notes</h1><form method="post" action="/">
<input type="hidden" name="token" value="' . $_SESSION['token'] . '">
<label>Name <input name="name" id="name" value="' . e($_SESSION['name'] ?? '') . '"></label>
<label>Text <textarea name="text" id="text"></textarea></label>
<button id="send">Send</button></form><ul id="notes">' . $list . '</ul>');

function mb_strimwidth_or_cut(string $text): string
{
	return strlen($text) > 60 ? substr($text, 0, 57) . '...' : $text;
}
