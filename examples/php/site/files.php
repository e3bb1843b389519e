<?php
// Uploads: a list, a form, and each file again as /files.php/NAME (PATH_INFO).
declare(strict_types=1);
require __DIR__ . '/lib.php';

const NAME = '~^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$~';
$dir = data_dir('files');

if (($_SERVER['PATH_INFO'] ?? '') !== '') {
	$name = substr($_SERVER['PATH_INFO'], 1);
	if (!preg_match(NAME, $name) || !is_file("$dir/$name")) {
		http_response_code(404);
		exit("There is no such file.\n");
	}
	header('Content-Type: application/octet-stream');
	header('X-Content-Type-Options: nosniff');
	header('Content-Length: ' . filesize("$dir/$name"));
	readfile("$dir/$name");
	exit;
}

begin_session();
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
	check_token();
	$file = $_FILES['file'] ?? null;
	if ($file === null || $file['error'] !== UPLOAD_ERR_OK)
		$_SESSION['said'] = 'No file has come (error ' . ($file['error'] ?? 'none') . ').';
	elseif (!preg_match(NAME, $file['name']))
		$_SESSION['said'] = 'A file needs a plain name.';
	elseif (move_uploaded_file($file['tmp_name'], "$dir/$file[name]"))
		$_SESSION['said'] = "$file[name]: $file[size] bytes, SHA-256 " . hash_file('sha256', "$dir/$file[name]");
	see_other('/files.php');
}

$list = '';
foreach (scandir($dir) as $name)
	if ($name[0] !== '.')
		$list .= '<li><a href="/files.php/' . e($name) . '">' . e($name) . "</a></li>\n";
page('Files', '<h1>Files</h1><form method="post" action="/files.php" enctype="multipart/form-data">
<input type="hidden" name="token" value="' . $_SESSION['token'] . '">
<input type="file" name="file" id="file"> <button id="send">Upload</button></form><ul id="files">' . $list . '</ul>');
