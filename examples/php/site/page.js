// Marks the page as complete, for tests; and a form as sent, so that it is not sent twice.
document.documentElement.dataset.ready = "yes";
for (const form of document.forms)
	form.addEventListener("submit", () => { form.querySelector("button").disabled = true; });
