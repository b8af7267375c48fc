package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// LogIn logs so many people in at a wxgate behind which a sandbox plays WeChat, 32 at a time, and returns their tokens.
func LogIn(ctx context.Context, gateway netip.AddrPort, count int) ([]string, error) {
	const clients = 32
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	list, errs := make([]string, count), make([]error, clients)
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	var all sync.WaitGroup
	for number := range clients {
		all.Go(func() {
			for i := number; i < count && errs[number] == nil; i += clients {
				list[i], errs[number] = logIn(ctx, client, gateway, fmt.Sprintf("demo-person%d-%s", i, run))
			}
		})
	}
	all.Wait()
	return list, errors.Join(errs...)
}

func logIn(ctx context.Context, client *http.Client, gateway netip.AddrPort, code string) (string, error) {
	body := strings.NewReader(fmt.Sprintf(`{"code":%q}`, code))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+gateway.String()+"/api/v1/auth/wx-login", body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("logging in: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("logging in: %w", err)
	}
	var answer struct {
		Data struct {
			Token string `json:"access_token"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Data.Token == "" {
		return "", fmt.Errorf("logging in: %s: %.200s", resp.Status, text)
	}
	return answer.Data.Token, nil
}
